"""The page at ``/`` in a headless Chromium: what somebody sees and does there."""

import base64
import json
from collections.abc import Iterator

import builders
import chromium
import fakes
import pytest
from chromium import Browser, Page
from fakes import FakeEngine, reply
from serving import ANSWER, ASKED, MINI, Served, serving

from llmrr.router import Router
from llmrr.types import ToolCall

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.found() is None, reason="there is no Chromium here"),
]

QUESTION = ASKED[0]["content"]
WORDS = {"log_requests": True}  # what clients ask is kept in the history
ANSWERED = "document.querySelector('.message.assistant:last-child:not(.growing) .actions button')"
LAST = "[...document.querySelectorAll('.message.assistant .markdown')].at(-1).textContent"
# Each text that is seen, with how far its colour is from what is behind it (WCAG 2.2, 1.4.3).
CONTRAST = """(() => {
    const parts = (text) => {
        const found = text.match(/[\\d.]+/g).map(Number);
        return text.startsWith("color(") ? found.map((one, at) => at < 3 ? one * 255 : one) : found;
    };
    const light = (colour) => {
        const [r, g, b] = colour.map((one) => one / 255)
            .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const found = parts(getComputedStyle(at).backgroundColor);
            if (found.length === 3 || found[3] === 1) return found.slice(0, 3);
        }
        return [255, 255, 255];
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const seen = {opacityProperty: true, visibilityProperty: true};
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim(), at = walker.currentNode.parentElement;
        if (!text || at.closest("svg, noscript, option, .unseen") || !at.checkVisibility(seen))
            continue;
        const [one, other] = [light(parts(getComputedStyle(at).color)), light(behind(at))];
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        found.push([text.slice(0, 40), ratio]);
    }
    return found;
})()"""

DOT = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
       "rkJggg==")  # fmt: skip
WIDER = """[...document.querySelectorAll("body, main, .view, .scroll, .log > *")]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
    .map((one) => one.id || one.className)"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium.running(tmp_path_factory.mktemp("chromium")) as found:
        yield found


def opened(browser: Browser, served: Served, width: int = 1280, height: int = 800) -> Page:
    page = browser.page()
    page.size(width, height)
    page.open(served.url + "/")
    page.wait("document.querySelectorAll('#model option').length > 1")
    return page


def ask(page: Page, text: str = QUESTION) -> None:
    page.see("document.getElementById('message').focus()")
    page.type(text)
    page.press("Enter")


def state(page: Page, name: str, value: str) -> None:
    """Put a value in a field of the parameters."""
    page.see(f"""(() => {{
        const field = document.querySelector('#parameters [name={name}]');
        field.value = {json.dumps(value)};
        field.dispatchEvent(new Event('input'));
    }})()""")


def test_a_question_is_answered_and_is_in_the_history(browser):
    models = [{"name": "small", "source": "builtin:mini", "priority": 1},
              {"name": "away", "source": "openai:gpt-4o-mini"}]  # fmt: skip
    with serving(Router(models=models, serve=WORDS)) as served:
        page = opened(browser, served)
        state(page, "temperature", "0")
        ask(page)
        page.wait(ANSWERED)
        assert page.see(LAST) == ANSWER
        said = page.see("document.querySelector('.meta').textContent")
        assert "tokens" in said and "tok/s" in said and "first token" in said and "free" in said
        why = page.see("document.querySelector('.why').textContent")
        assert "Strategy balanced chose small" in why and "OPENAI_API_KEY is not set" in why
        page.wait(f"document.getElementById('said').textContent === {json.dumps(ANSWER)}")
        page.see("location.hash = '#/history'")
        page.wait(f"document.querySelector('.runs .said')?.textContent === {json.dumps(QUESTION)}")
        page.wait("document.querySelectorAll('.plot circle').length > 0")
        page.see("document.querySelector('.runs summary').click()")
        page.wait("document.querySelector('.words pre')")
        assert ANSWER in page.see("document.querySelector('.words').textContent")
        page.see("location.hash = '#/live'")
        page.wait("document.querySelector('#live tbody th')?.textContent === 'small'")
        assert page.complaints() == []
        assert page.asked() and all(one.startswith(served.url + "/") for one in page.asked())


def test_a_model_that_is_chosen_is_asked_with_the_parameters(browser, engine):
    engine.replies = ["one", "two"]
    models = [{"name": "first", "source": "builtin:mini"},
              {"name": "second", "source": "builtin:mini"}]  # fmt: skip
    with serving(Router(models=models)) as served:
        page = opened(browser, served)
        page.see("(() => { const model = document.getElementById('model'); model.value = 'second'; "
                 "model.dispatchEvent(new Event('change')); })()")
        for name, value in {"temperature": "0.5", "top_p": "0.5", "max_tokens": "7", "seed": "3",
                            "stop": "a\nb", "schema": '{"type": "object"}'}.items():
            state(page, name, value)
        page.see("document.getElementById('tune').click()")
        page.type("Be brief.")
        ask(page)
        page.wait(ANSWERED)
        assert page.see("document.querySelector('.message.assistant header').textContent") == (
            "second"
        )
        (asked,) = engine.requests
        assert [(one.role, one.content) for one in asked.messages] == [
            ("system", "Be brief."), ("user", QUESTION),
        ]  # fmt: skip
        sampling = asked.sampling
        assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.5, 0.5, 7)
        assert (sampling.seed, sampling.stop) == (3, ("a", "b"))
        assert sampling.schema == {"type": "object"}
        state(page, "schema", "{")
        ask(page, "again")
        page.wait("document.querySelector('.below .wrong').textContent.startsWith('JSON Schema:')")
        assert len(engine.requests) == 1


def test_a_model_is_asked_to_think_where_it_can(browser, engine, tmp_path):
    engine.replies = ["one", "two"]
    files = {name: builders.tiny_llama(tmp_path / f"{name}.gguf", template=template)
             for name, template in (("plain", None), ("thinker", "{{ '<think>' }}"))}  # fmt: skip
    models = [{"name": name, "source": f"file:{path}"} for name, path in files.items()]
    with serving(Router(models=models)) as served:
        page = opened(browser, served)
        for name, text in (("thinker", QUESTION), ("plain", "again")):
            page.see(f"(() => {{ const model = document.getElementById('model');"
                     f"model.value = '{name}'; model.dispatchEvent(new Event('change')); }})()")
            state(page, "reasoning_effort", "low")
            cannot = "document.querySelector('#parameters [name=reasoning_effort]').disabled"
            assert page.see(cannot) is (name == "plain")
            ask(page, text)
            page.wait(f"{ANSWERED} && {LAST} === '{'one' if name == 'thinker' else 'two'}'")
        assert [one.sampling.think for one in engine.requests] == ["low", None]


@pytest.mark.parametrize("how", ["Escape", "button"])
def test_an_answer_is_seen_as_it_comes_and_is_stopped(browser, engine, monkeypatch, how):
    monkeypatch.setattr(fakes, "FakeStream", fakes.Endless)
    engine.replies = [""]
    with serving(Router(MINI)) as served:
        page = opened(browser, served)
        ask(page)
        for most in (20, 60):
            page.wait(f"document.querySelector('.growing .markdown')?.textContent.length > {most}")
        assert page.see("document.getElementById('send').textContent") == "Stop"
        if how == "Escape":
            page.press("Escape")
        else:
            page.see("document.getElementById('send').click()")
        page.wait(ANSWERED)
        assert "stopped" in page.see("document.querySelector('.meta').textContent")
        assert page.see("document.getElementById('send').textContent") == "Send"
        page.see("location.hash = '#/live'")
        page.wait("document.querySelector('#live .tiles .large')?.textContent === '0'")
        assert engine.streams[0].cancelled and not served.service.under_way
        assert page.complaints() == []


BAD = """<img src=x onerror="window.hit=1"><script>window.hit=1</script>
[click](javascript:window.hit=1) ![p](http://127.0.0.1:9/x.png) <svg onload="window.hit=1">

`<b>` [ok](https://example.org/?a=1) **bold**

| <i>a</i> | b |
|---|---|
| <img src=x onerror=window.hit=1> | 2 |

```html
<script>window.hit=1</script>
```
"""


def test_what_a_model_says_is_text(browser, engine):
    name = "<img/src=x/onerror='window.hit=1'>"
    engine.replies = [reply(("reasoning", BAD), *BAD)]
    models = [{"name": name, "source": "builtin:mini"}]
    with serving(Router(models=models, serve=WORDS)) as served:
        page = opened(browser, served)
        ask(page, BAD)
        page.wait(ANSWERED)
        assert "<script>window.hit=1</script>" in page.see(LAST)
        page.see("location.hash = '#/history'")
        page.wait("document.querySelector('.runs .said') && document.querySelector('.plot')")
        page.see("document.querySelector('.runs summary').click()")
        page.wait("document.querySelector('.words pre')")
        assert name in page.see("document.querySelector('#history').textContent")
        page.see("location.hash = '#/live'")
        page.wait("document.querySelector('#live tbody th')")
        page.open(served.url + "/#/chat")  # what was kept is drawn again
        page.wait("document.querySelector('#chats .open')")
        page.see("document.querySelector('#chats .open').click()")
        page.wait(ANSWERED)
        assert page.see("window.hit") is None
        inside = "document.querySelectorAll('.message :is(img, script, svg, i, b, iframe)').length"
        assert page.see(inside) == 0
        links = page.see("[...document.querySelectorAll('.message a')].map((one) => one.href)")
        assert links == ["http://127.0.0.1:9/x.png", "https://example.org/?a=1"]
        assert page.see("document.querySelector('.message strong').textContent") == "bold"
        assert page.complaints() == []
        assert all(one.startswith(served.url + "/") for one in page.asked())


def test_even_a_mistake_of_the_page_cannot_read_text_as_html(browser, served_mini):
    page = opened(browser, served_mini)
    assert page.see("""(() => {
        try { document.body.innerHTML = "<b>x</b>"; } catch (error) { return error.name; }
    })()""") == "TypeError"
    assert page.see("""(() => {
        const script = document.createElement("script");
        try { script.text = "window.hit = 1"; document.head.append(script); } catch { }
        return window.hit ?? null;
    })()""") is None


@pytest.fixture(scope="module")
def served_mini() -> Iterator[Served]:
    with serving() as found:
        yield found


def test_all_of_it_by_the_keyboard(browser):
    with serving(Router(MINI)) as served:
        page = opened(browser, served)
        page.press("Tab")
        assert page.see("document.activeElement.className") == "skip"
        seen = []
        for _ in range(30):
            page.press("Tab")
            place = page.see("""(() => {
                const at = document.activeElement;
                const rings = [at, at.form].filter(Boolean).map((one) => getComputedStyle(one));
                return [at.id || at.textContent.trim(), at === document.body
                        || rings.some((one) => one.outlineStyle !== "none")];
            })()""")
            assert place[1], f"{place[0]} does not show that it has the focus"
            seen.append(place[0])
            if place[0] == "message":
                break
        assert seen[:4] == ["Chat", "Live", "History", "new"]
        assert {"theme", "help", "model", "tune"} <= set(seen) and seen[-1] == "message"
        page.type(QUESTION)
        page.press("Enter")
        page.wait(ANSWERED)
        page.see("document.activeElement.blur()")
        page.press("?", shift=True)
        page.wait("document.getElementById('shortcuts').open")
        page.press("Escape")
        page.wait("!document.getElementById('shortcuts').open")
        page.see("window.before = document.querySelector('.message.assistant')")
        page.press("r")
        page.wait(f"before !== document.querySelector('.message.assistant') && {ANSWERED}")
        assert len(served.ask("/page/runs").json()["runs"]) == 2
        page.press("p")
        page.wait("document.activeElement.id === 'system'")
        page.press("Escape")
        page.wait("document.getElementById('parameters').hidden")
        page.see("document.activeElement.blur()")
        page.press("3")
        page.wait("document.querySelectorAll('.plot circle').length")
        page.see("document.querySelector('.plot').focus()")
        page.press("ArrowLeft")
        page.wait("!document.querySelector('.tip').hidden")
        assert "median" in page.see("document.querySelector('.plot').ariaValueText")
        page.press("n")
        page.wait("document.querySelector('.welcome')")
        assert page.see("document.activeElement.id") == "message"
        assert page.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_both_themes(browser, scheme):
    with serving(Router(MINI)) as served:
        page = opened(browser, served)
        page.prefers(scheme)
        bright = sum(page.see("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)"
                              ".slice(0, 3).map(Number)")) / 3  # fmt: skip
        assert bright > 200 if scheme == "light" else bright < 60
        ask(page)
        page.wait(ANSWERED)
        page.see("document.querySelectorAll('details').forEach((one) => one.open = true)")
        page.see("document.getElementById('tune').click()")
        for view, ready in (("chat", ".why table"), ("live", "#live tbody"),
                            ("history", "#history .plot circle")):  # fmt: skip
            page.see(f"location.hash = '#/{view}'")
            page.wait(f"document.querySelector('{ready}')")
            found = page.see(CONTRAST)
            assert len(found) > 15
            assert [one for one in found if one[1] < 4.5] == []
        other = {"light": "dark", "dark": "light"}[scheme]
        page.see(f"(() => {{ const theme = document.getElementById('theme'); theme.value = "
                 f"'{other}'; theme.dispatchEvent(new Event('change')); }})()")
        assert page.see("document.documentElement.dataset.theme") == other
        page.open(served.url + "/?again")
        assert page.see("document.documentElement.dataset.theme") == other


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_narrow_window_is_not_wider_than_it_is(browser, width):
    with serving(Router(MINI)) as served:
        page = opened(browser, served, width, 700)
        ask(page)
        page.wait(ANSWERED)
        page.see("document.querySelectorAll('details').forEach((one) => one.open = true)")
        for view, ready in (("chat", ".why table"), ("live", "#live tbody"),
                            ("history", "#history .plot circle")):  # fmt: skip
            page.see(f"location.hash = '#/{view}'")
            page.wait(f"document.querySelector('{ready}')")
            assert page.see(WIDER) == []
        assert page.see("document.documentElement.scrollWidth") == width
        page.see("document.getElementById('menu').click()")
        page.wait("getComputedStyle(document.getElementById('side')).visibility === 'visible'")
        assert page.see("document.activeElement.textContent") == "History"
        page.press("Escape")
        page.wait("document.activeElement.id === 'menu'")


def test_conversations_are_kept_continued_changed_and_deleted(browser, engine):
    engine.replies = ["first", "second", "third", "fourth"]
    with serving(Router(MINI)) as served:
        page = opened(browser, served)
        ask(page, "one")
        page.wait(ANSWERED)
        page.open(served.url + "/?again")
        page.wait("document.querySelector('#chats .open')")
        page.see("document.querySelector('#chats .open').click()")
        page.wait(ANSWERED)
        ask(page, "two")
        page.wait(f"{ANSWERED} && {LAST} === 'second'")
        assert [one.content for one in engine.requests[1].messages] == ["one", "first", "two"]
        page.see("[...document.querySelectorAll('.message.assistant button')].at(-1).click()")
        page.wait(f"{ANSWERED} && {LAST} === 'third'")
        assert [one.content for one in engine.requests[2].messages] == ["one", "first", "two"]
        page.see("document.querySelector('.message.user button').click()")
        page.see("document.querySelector('.edit textarea').value = 'changed'")
        page.press("Enter")
        page.wait(f"{ANSWERED} && {LAST} === 'fourth'")
        assert [one.content for one in engine.requests[3].messages] == ["changed"]
        page.see("window.confirm = () => true")
        page.see("document.querySelector('#chats [title=Delete]').click()")
        page.wait("document.querySelector('.welcome')")
        page.wait("!document.querySelector('#chats li')")
        assert page.see("Object.keys(localStorage).filter((one) => one.startsWith('llmrr.chat.'))"
                        ) == []
        assert page.complaints() == []


def test_what_goes_wrong_is_told(browser, engine: FakeEngine):
    from llmrr.errors import EngineFailed

    engine.replies = [EngineFailed("it broke"), reply("half", EngineFailed("it broke off"))]
    with serving(Router(MINI)) as served:
        page = opened(browser, served)
        ask(page, "one")
        page.wait("document.querySelector('.message .wrong:not([hidden])')")
        assert "it broke" in page.see("document.querySelector('.message .wrong').textContent")
        ask(page, "two")
        page.wait("document.querySelectorAll('.message .wrong:not([hidden])').length === 2")
        assert page.see(LAST) == "half"


def test_a_tool_that_is_called_is_shown_and_answered(browser, engine):
    called = reply(ToolCall("c1", "weather", '{"city":"Rome"}'), finish_reason="tool_calls")
    engine.replies = [called, "It is warm."]
    tool = {"name": "weather", "parameters": {"type": "object"}}
    with serving(Router(MINI)) as served:
        page = opened(browser, served)
        state(page, "tools", json.dumps([{"type": "function", "function": tool}]))
        ask(page, "How warm is it?")
        page.wait("document.querySelector('.call textarea')")
        assert '"city": "Rome"' in page.see("document.querySelector('.call pre').textContent")
        page.see("document.querySelector('.call textarea').focus()")
        page.type("31 degrees")
        page.see("document.querySelector('.call form').requestSubmit()")
        page.wait(f"{ANSWERED} && {LAST} === 'It is warm.'")
        assert [one.name for one in engine.requests[0].tools] == ["weather"]
        *_, called, result = engine.requests[1].messages
        assert [one.name for one in called.tool_calls] == ["weather"]
        assert (result.role, result.content, result.tool_call_id) == ("tool", "31 degrees", "c1")
        assert page.complaints() == []


def test_a_picture_goes_to_a_model_that_takes_some(browser, engine, tmp_path):
    from builders import gguf_file, tiny_llama

    picture = tmp_path / "dot.png"
    picture.write_bytes(base64.b64decode(DOT))
    sees = {"mmproj": str(gguf_file(tmp_path / "mmproj.gguf"))}
    engine.replies = ["A dot."]
    source = f"file:{tiny_llama(tmp_path / 'model.gguf')}"
    models = [{"name": "blind", "source": source},
              {"name": "sees", "source": source, "options": sees}]  # fmt: skip
    with serving(Router(models=models)) as served:
        page = opened(browser, served)
        for name, hidden in (("blind", True), ("sees", False)):
            page.see(f"(() => {{ const model = document.getElementById('model'); model.value = "
                     f"'{name}'; model.dispatchEvent(new Event('change')); }})()")
            assert page.see("document.getElementById('attach').hidden") is hidden
        root = page.call("DOM.getDocument")["root"]["nodeId"]
        node = page.call("DOM.querySelector", nodeId=root, selector="input[type=file]")["nodeId"]
        page.call("DOM.setFileInputFiles", nodeId=node, files=[str(picture)])
        page.wait("document.querySelector('.thumbs img')?.complete")
        ask(page, "What is this?")
        page.wait(ANSWERED)
        (message,) = engine.requests[0].messages
        (image,) = message.images
        assert (message.content, image.url) == ("What is this?", f"data:image/png;base64,{DOT}")
        assert page.see("document.querySelector('.bubble img').naturalWidth") == 1
        assert page.complaints() == []


def test_a_key_is_asked_for_and_kept_in_this_tab_only(browser, monkeypatch):
    key = "a-key-of-twenty-six-letters"
    monkeypatch.setenv("PAGE_KEY", key)
    with serving(Router(MINI), variables=["PAGE_KEY"]) as served:
        page = browser.page()
        page.open(served.url + "/")
        for tried in ("a-wrong-key-of-some-letters", key):
            page.wait("document.getElementById('key').open "
                      "&& document.getElementById('key-value').value === ''")  # fmt: skip
            assert page.see("document.activeElement.id") == "key-value"
            page.type(tried)
            page.press("Enter")
        page.wait("document.querySelectorAll('#model option').length > 1")
        ask(page)
        page.wait(ANSWERED)
        assert page.see(LAST) == ANSWER
        assert key not in page.see("JSON.stringify({...localStorage}) + document.cookie")
        assert page.see("Object.values(sessionStorage)") == [key]
        page.open(served.url + "/?again")  # asked once for a tab
        page.wait("document.querySelectorAll('#model option').length > 1")
        assert not [one for one in page.asked() if key in one]
