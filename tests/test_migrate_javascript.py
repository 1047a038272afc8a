"""JavaScript and TypeScript are evaluated as far as that goes without running anything."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmrr.errors import DamagedFile
from llmrr.migrate.javascript import evaluate
from llmrr.migrate.values import Call, Code, Env, Prompt, Unresolved, Value, inside


def code(text: str, dialect: str = "typescript") -> Code:
    return evaluate(text, Path("src/app.ts"), dialect)


def value(text: str, before: str = "", dialect: str = "typescript") -> Value:
    return code(f"{before}\nconst it = {text};", dialect).names.get("it")


@pytest.mark.parametrize(("text", "expected"), [
    ("'a\\n\\x41'", "a\nA"), ('"\\u{1F600}"', "😀"), ("`a\nb`", "a\nb"), ("1e-5", 1e-5),
    ("4_096", 4096), ("0x10", 16), ("-1", -1), ("2 * 1024", 2048), ("1 << 12", 4096),
    ("1000 * 60", 60000), ("8192 / 2", 4096), ("true", True), ("!0", True), ("[1, 'a']", [1, "a"]),
    ("{a: 1, 'b': 2, ['c']: 3, 4: 5}", {"a": 1, "b": 2, "c": 3, "4": 5}), ("'a' + 'b' + 1", "ab1"),
    ("('a' as const)", "a"), ("<string>'a'", "a"), ("'a'!", "a"), ("await 'a'", "a"),
    ("{a: 1} satisfies T", {"a": 1}), ("Object.freeze({a: 1})", {"a": 1}), ("null ?? 'a'", "a"),
    ("'' || 'a'", "a"), ("0 ?? 1", 0), ("true ? 'a' : 'b'", "a"), ("['a', 'b'].join('\\n')",
    "a\nb"),
    ("' a '.trim()", "a"), ("parseInt('12', 10)", 12), ("Number('0.7')", 0.7),
    ("Object.assign({}, {a: 1}, {b: 2})", {"a": 1, "b": 2}), ("`${1}${'a'}${true}`", "1atrue"),
    ("dedent`\n  a\n  b`", "a\nb"), ("String.raw`a\\n`", "a\\n"), ("JSON.parse('[1]')", [1]),
    ("'a,b'.split(',')", ["a", "b"]), ("[...['a'], 'b']", ["a", "b"]), ("({a: 1}).a", 1),
    ("['a'][0]", "a"), ("void 0", None),
])  # fmt: skip
def test_what_is_known_is_a_value(text: str, expected: Value) -> None:
    assert value(text) == expected


@pytest.mark.parametrize("text", [
    "f(x).y", "x", "a ? 'b' : 'c'", "/re/", "() => 1", "`${a.b}`", "x || 'a'",
    "`${f()}`", "1 / 0", "process.argv[2]", "x + 1 * y", "'a'.repeat(1e9)[y]", "class {}", "-x",
])  # fmt: skip
def test_what_only_running_tells_is_unresolved(text: str) -> None:
    found = code(f"export const it = {text}").exports["it"]
    assert isinstance(found, Unresolved) and found.line == 1


@pytest.mark.parametrize(("text", "expected"), [
    ("process.env.K", Env("K")), ("process.env['K']", Env("K")), ("process.env.K!", Env("K")),
    ("import.meta.env.K", Env("K")), ("Deno.env.get('K')", Env("K")), ("Bun.env.K", Env("K")),
    ("process.env.K || 'd'", Env("K", "d")), ("process.env.K ?? 'd'", Env("K", "d")),
    ("process.env.K || ''", Env("K")), ("process?.env?.K", Env("K")),
    ("(process.env.K as string)", Env("K")), ("process.env.A || process.env.B || 'c'",
                                             Env("A", Env("B", "c"))),
    ("Number(process.env.N) || 0.7", Env("N", 0.7)),
    ("parseInt(process.env.N ?? '5')", Env("N", 5)),
    ("+process.env.N", Env("N")), ("process.env.K?.trim()", Env("K")),
    ("c.env.OPENAI_API_KEY", Env("OPENAI_API_KEY")), ("globalThis.process.env.K", Env("K")),
    ("String(process.env.K)", Env("K")),
])  # fmt: skip
def test_variables_of_the_environment(text: str, expected: Env) -> None:
    assert value(text) == expected


def test_variables_that_are_imported_or_taken_apart() -> None:
    found = code("""
        import { env } from "node:process";
        import { env as mine } from "./env.mjs";
        import { SECRET } from "$env/static/private";
        const { A, B: b = "d" } = process.env;
        const e = process.env;
        export const all = [env.X, mine.OPENAI_API_KEY, SECRET, A, b, e.Y, mine.model];
        export default { fetch(request, env) { return new OpenAI({ apiKey: env.API_KEY }); } };
    """)
    assert found.exports["all"] == [
        Env("X"), Env("OPENAI_API_KEY"), Env("SECRET"), Env("A"), Env("B", "d"), Env("Y"),
        Unresolved("mine.model", 7),
    ]  # fmt: skip
    assert found.calls[0].named == {"apiKey": Env("API_KEY")}


@pytest.mark.parametrize(("text", "expected"), [
    ("path.join(__dirname, 'models', 'x.gguf')", "./models/x.gguf"),
    ("path.join(__dirname, '..', 'm', 'x.gguf')", "../m/x.gguf"),
    ("path.resolve(__dirname, 'm/x.gguf')", "./m/x.gguf"), ("join('m', 'x')", "m/x"),
    ("path.resolve('m', 'x')", "./m/x"), ("path.join('/a', '/b')", "/a/b"),
    ("path.join(process.cwd(), 'm')", "./m"), ("`${__dirname}/m/x`", "./m/x"),
    ("__dirname + '/m/x'", "./m/x"), ("path.join(import.meta.dirname, 'm')", "./m"),
    ("path.join(path.dirname(fileURLToPath(import.meta.url)), 'm')", "./m"),
    ("fileURLToPath(new URL('./m/x', import.meta.url))", "./m/x"),
    ("new URL('../m', import.meta.url).pathname", "../m"),
    ("path.join(os.homedir(), '.cache', 'x')", "~/.cache/x"),
    ("path.resolve(__dirname, '/abs')", "/abs"),
    ("new URL('/v1', 'http://localhost:80').toString()", "http://localhost:80/v1"),
])  # fmt: skip
def test_paths_are_relative_to_the_file(text: str, expected: str) -> None:
    assert value(text) == expected


def test_the_folder_under_its_own_name() -> None:
    before = """
        import path, { join } from "node:path"; import { fileURLToPath } from "url";
        const __filename = fileURLToPath(import.meta.url);
        const __dirname = path.dirname(__filename);
        const MODELS = join(__dirname, "..", "models");
    """
    assert value("path.posix.join(MODELS, 'x.gguf')", before) == "../models/x.gguf"


@pytest.mark.parametrize(("text", "expected"), [
    ("`Say {x} to ${name}.`", Prompt("Say {{x}} to {name}.", ("name",))),
    ("'Say ' + name + '!'", Prompt("Say {name}!", ("name",))), ("`${role}: ${name}`",
        Prompt("judge: {name}", ("name",))), ("`${inner} ${name}`",
        Prompt("a {question} {name}", ("question", "name"))),
    ("`\n${name}\n`.trim()", Prompt("{name}", ("name",))),
    ("[`a ${name}`, '{b}'].join('\\n')", Prompt("a {name}\n{{b}}", ("name",))),
])  # fmt: skip
def test_texts_with_holes_are_prompts(text: str, expected: Prompt) -> None:
    before = "const role = 'judge'; const inner = `a ${question}`; function f(name) { "
    found = code(f"{before} const it = {text}; }}").names["it"]
    assert found == expected


@pytest.mark.parametrize("text", [
    "let it = 'a'; it = 'b'; use(it)", "let it = 1; it++; use(it)",
    "function f(it = 'a') { use(it) }",
    "for (const it of ['a']) use(it)", "var it = 'a'; var it = 'b'; use(it)", "let it; use(it)",
    "try {} catch (it) { use(it) }", "const it = 'a'; function f({ it }) { use(it) }",
    "const o = {it: 1}; o.it = 2; use(o.it)", "const o = {it: 1}; o[k] = 2; use(o.it)",
    "let it = 'a'; [it] = x; use(it)", "let it = 'a'; for (it of x) {} use(it)",
    "import it from 'x'; use(it)",
])  # fmt: skip
def test_a_variable_that_may_be_something_else_is_unresolved(text: str) -> None:
    (argument,) = code(text).calls[-1].args
    assert isinstance(argument, Unresolved)


@pytest.mark.parametrize(("text", "expected"), [
    ("let it; it = 'a'; use(it)", "a"), ("let it = null; if (x) it = 'a'; use(it)", "a"),
    ("const it = 'a'; function f() { const it = 'b'; use(it) }", "b"),
    ("const it = 'a'; function f() { const it = 'b' } use(it)", "a"),
    ("use(it); var it = 'a'", "a"), ("const { a: { it } } = { a: { it: 'a' } }; use(it)", "a"),
    ("const [, it] = ['b', 'a']; use(it)", "a"), ("const { it = 'a' } = {}; use(it)", "a"),
    ("const o = {}; o.it = 'a'; use(o.it)", "a"), ("const o = {}; o.it = 'a'; use(o)", {"it": "a"}),
    ("enum M { it = 'a' } use(M.it)", "a"), ("class C { static it = 'a'; f() { use(this.it) } }",
    "a"),
    ("class C { constructor() { this.it = 'a' } f() { use(this.it) } }", "a"),
    ("const it = { ...a, b: 2 }; const a = { c: 1 }; use(it)", {"c": 1, "b": 2}),
    ("const a = 1; use({ a, it: { ...{ b: a } } })", {"a": 1, "it": {"b": 1}}),
    ("use({ ...x, a: 1 })", {"a": 1}),
])  # fmt: skip
def test_what_is_assigned_once_is_known(text: str, expected: Value) -> None:
    assert code(text).calls[-1].args == (expected,)


def test_what_is_pushed_later_is_not_known() -> None:
    found = code("const m = ['a']; m.push('b'); use(m)").calls[-1].args[0]
    assert isinstance(found, list) and found[0] == "a" and isinstance(found[1], Unresolved)


def test_an_unknown_spread_is_told() -> None:
    (call,) = code("use({ ...opts, a: 1 }, ...more)").calls
    assert call.named == {"a": 1}
    assert [one.text for one in call.rest] == ["{ ...opts, a: 1 }", "...more"]
    nested = code("export default { a: { ...opts } }").exports["default"]
    assert nested == {"a": {"...": Unresolved("...opts", 1)}}


@pytest.mark.parametrize(("text", "callee"), [
    ('import { ChatOpenAI } from "lc"; new ChatOpenAI()', "lc.ChatOpenAI"),
    ('import { ChatOpenAI as C } from "lc"; new C()', "lc.ChatOpenAI"),
    ('import * as lc from "lc"; new lc.ChatOpenAI()', "lc.ChatOpenAI"),
    ('import OpenAI from "openai"; new OpenAI()', "openai.default"),
    ('import A, { B } from "openai"; new B()', "openai.B"),
    ('import OpenAI = require("openai"); new OpenAI()', "openai"),
    ('const OpenAI = require("openai"); new OpenAI()', "openai"),
    ('const { OpenAI } = require("openai"); new OpenAI()', "openai.OpenAI"),
    ('const { OpenAI: A } = require("openai"); new A()', "openai.OpenAI"),
    ('const A = require("openai").OpenAI; new A()', "openai.OpenAI"),
    ('const { ChatOpenAI } = await import("x"); new ChatOpenAI()', "x.ChatOpenAI"),
    ('const lib = require("openai"); const A = lib.OpenAI; new A()', "openai.OpenAI"),
    ("openai.chat.completions.create()", "openai.chat.completions.create"),
    ("f()()", ""), ("a?.b?.()", "a.b"), ("(x as any).go()", "x.go"),
])  # fmt: skip
def test_callees_have_dotted_names(text: str, callee: str) -> None:
    assert code(text).calls[-1].callee == callee


def test_the_names_of_what_is_required_are_imports() -> None:
    found = code('const OpenAI = require("openai"); const { A: b } = await import("x");')
    assert found.imports == {"OpenAI": "openai", "b": "x.A"}
    assert found.imports_from("openai") and found.imports_from("x")


def test_calls_are_in_order_with_what_they_are_called_on() -> None:
    found = code("""
        import { getLlama, LlamaChatSession } from "node-llama-cpp";
        async function main() {
            const llama = await getLlama();
            const model = await llama.loadModel({ modelPath: "x.gguf" });
            const session = new LlamaChatSession({
                contextSequence: (await model.createContext()).getSequence(),
            });
            return await session.prompt("Hi", { temperature: 0.8 });
        }
    """)
    assert [one.name for one in found.calls] == [
        "getLlama", "loadModel", "createContext", "getSequence", "LlamaChatSession", "prompt",
    ]  # fmt: skip
    llama, model, context, sequence, session, prompt = found.calls
    assert model.receiver is llama and context.receiver is model and prompt.receiver is session
    assert session.named["contextSequence"] is sequence
    assert [one.targets for one in found.calls] == [
        ("llama",), ("model",), (), (), ("session",), (),
    ]  # fmt: skip
    assert {one.within for one in found.calls} == {"main"} and model.line == 5


def test_members_of_classes_and_attributes_hold_what_they_were_given() -> None:
    found = code("""
        class A {
            private readonly client = new OpenAI({ apiKey: process.env.A });
            #other;
            constructor() { this.#other = new Other(); }
            ask() { return this.client.chat.completions.create({ model: "m" }); }
            more() { return this.#other.go(); }
        }
        class B { constructor() { this.client = new Groq(); } ask() { this.client.go(); } }
        Settings.llm = new Llm(); Settings.llm.complete("x");
    """)
    of = {one.callee: one for one in found.calls}
    assert of["chat.completions.create"].receiver is of["OpenAI"]
    assert [one.receiver.callee for one in found.calls if one.callee == "go" and one.receiver] == [
        "Other", "Groq",
    ]  # fmt: skip
    assert of["OpenAI"].targets == ("this.client",) and of["Llm"].targets == ("Settings.llm",)
    assert of["complete"].receiver is of["Llm"] and found.names["Settings.llm"] is of["Llm"]


def test_what_a_function_of_the_file_gives_is_followed() -> None:
    found = code("""
        const make = (m: string) => new OpenAI({ model: m, n: 1 });
        function client() { return make("x"); }
        client().go();
        let kept; function once() { kept ??= new Kept(); return kept; }
        once().go();
        const held = globalThis.held ?? new Held(); held.go();
    """)
    receivers = [one.receiver.callee for one in found.calls if one.callee == "go" and one.receiver]
    assert receivers == ["OpenAI", "Kept", "Held"]
    assert isinstance(found.calls[0].named["model"], Unresolved)


@pytest.mark.parametrize(("text", "name", "expected"), [
    ("export default { a: 1 }", "default", {"a": 1}), ("module.exports = { a: 1 }",
    "default", {"a": 1}),
    ("export const config = { a: 1 }", "config", {"a": 1}), ("exports.a = 1", "a", 1),
    ("module.exports.a = 1", "a", 1), ("const c = 1; export { c as d }", "d", 1),
    ("const c = 1; export default c", "default", 1), ("export = { a: 1 }", "default", {"a": 1}),
    ("const c = 1; module.exports = exports = { c }", "default", {"c": 1}),
    ("export default { a: 1 } satisfies Config", "default", {"a": 1}),
    ("const c: Config = { a: 1 }; export { c as default }", "default", {"a": 1}),
])  # fmt: skip
def test_exports(text: str, name: str, expected: Value) -> None:
    assert code(text).exports[name] == expected


def test_a_config_that_is_wrapped_is_the_call() -> None:
    found = code("export default defineConfig({ a: 1 })").exports["default"]
    assert isinstance(found, Call) and found.named == {"a": 1}


@pytest.mark.parametrize("dialect", ["javascript", "tsx"])
def test_elements_are_read_through(dialect: str) -> None:
    found = code("const A = () => <div onClick={() => ask('x')}>{use(1)}</div>;", dialect)
    assert [one.callee for one in found.calls] == ["ask", "use"]


@pytest.mark.parametrize("text", ["x;" * 60_000, "x;\n" * 400_000])
def test_a_bundle_is_left(text: str) -> None:
    with pytest.raises(DamagedFile):
        code(text)


@pytest.mark.parametrize("text", [
    "[" * 5000 + "]" * 5000, "f(" * 5000 + ")" * 5000, "{a:" * 5000, "`${" * 5000, "(" * 5000,
    "a" + ".b()" * 5000, "'a'" + " + 'a'" * 5000, "x => " * 5000 + "1", "if (a) " * 5000 + "f()",
    "const a = a;", "const a = b, b = a; f(a)", "const f = () => f(); f()",
    "const a = {...a}; f(a)",
    "const [a] = a; f(a)", "class A { a = this.a; f() { g(this.a) } }", "const {a = a} = a; f(a)",
    "!" * 5000 + "a", "a ? b : " * 3000 + "c", "const {" + "a: {" * 3000,
])  # fmt: skip
def test_deep_and_circular_code_is_harmless(text: str) -> None:
    assert code(f"export default {text}").language == "javascript"
    assert code(text).language == "javascript"


def test_values_do_not_grow_without_bound() -> None:
    lines = ["const a0 = ['x', 'x'];", "const t0 = 'xxxxxxxxxx';", "const c0 = f();"]
    for at in range(60):
        lines.append(f"const a{at + 1} = [a{at}, a{at}]; const t{at + 1} = t{at} + t{at};")
        lines.append(f"const c{at + 1} = f(c{at}, c{at});")
    found = code("\n".join([*lines, "export { a60, t60, c60 }"]))
    assert sum(1 for one in found.exports.values() for _ in _walked(one)) < 50_000
    assert all(len(str(one)) < 500_000 for one in found.exports.values())


def _walked(value: Value) -> Iterator[Value]:
    for one in inside(value):
        yield one
        if isinstance(one, Call):
            for part in (*one.args, one.receiver):
                yield from _walked(part)
