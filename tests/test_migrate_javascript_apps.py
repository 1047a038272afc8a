"""Code as it is written in applications, and what is known of it without running it."""

from pathlib import Path

from llmrr.migrate.javascript import evaluate
from llmrr.migrate.values import Call, Code, Env, Prompt


def code(text: str, dialect: str = "typescript") -> Code:
    return evaluate(text, Path("app/api/chat/route.ts"), dialect)


def named(found: Code, name: str) -> Call:
    return next(one for one in found.calls if one.name == name)


def test_a_route_handler() -> None:
    found = code("""
        import OpenAI from "openai";
        import { NextResponse, type NextRequest } from "next/server";
        export const runtime = "edge";
        const openai = new OpenAI({ apiKey: process.env.OPENAI_API_KEY!, maxRetries: 2 });
        const SYSTEM = `You are a helpful assistant.
        Answer in JSON: {"answer": "..."}` as const;
        export async function POST(req: NextRequest): Promise<Response> {
            const { messages, topic } = (await req.json()) as Body;
            const response = await openai.chat.completions.create({
                model: process.env.OPENAI_MODEL ?? "gpt-4o-mini", stream: true, temperature: 0.7,
                messages: [
                    { role: "system", content: `${SYSTEM} The topic is ${topic}.` }, ...messages,
                ],
            });
            return new NextResponse(toStream(response));
        }
    """)
    asked = named(found, "create")
    assert asked.callee == "chat.completions.create" and asked.within == "POST"
    assert asked.receiver is named(found, "default")
    assert asked.named["model"] == Env("OPENAI_MODEL", "gpt-4o-mini")
    messages = asked.named["messages"]
    assert isinstance(messages, list) and isinstance(messages[0], dict)
    content = messages[0]["content"]
    assert isinstance(content, Prompt) and content.holes == ("topic",)
    assert '{{"answer": "..."}} The topic is {topic}.' in content.text
    assert found.exports["runtime"] == "edge"


def test_a_chain() -> None:
    found = code("""
        import { ChatOpenAI } from "@langchain/openai";
        import { ChatPromptTemplate } from "@langchain/core/prompts";
        const base = { temperature: 0.2, maxTokens: 4 * 256 };
        const fast = new ChatOpenAI({ ...base, model: "gpt-4o-mini" });
        const smart = new ChatOpenAI({ ...base, model: "gpt-4o", temperature: 0 });
        const prompt = ChatPromptTemplate.fromMessages([
            ["system", "Be brief."], ["human", "{question}"],
        ]);
        const chain = prompt.pipe(smart.withFallbacks([fast])).pipe(parser);
        export const ask = (question: string) => chain.invoke({ question });
    """)
    fast, smart = (one for one in found.calls if one.name == "ChatOpenAI")
    assert fast.named == {"temperature": 0.2, "maxTokens": 1024, "model": "gpt-4o-mini"}
    assert smart.named["temperature"] == 0
    fallback = named(found, "withFallbacks")
    assert fallback.receiver is smart and fallback.args == ([fast],)
    first, second = (one for one in found.calls if one.name == "pipe")
    assert first.receiver is named(found, "fromMessages") and first.args == (fallback,)
    assert second.receiver is first and named(found, "invoke").receiver is second


def test_a_command_line_script() -> None:
    found = code("""
        #!/usr/bin/env node
        const { program } = require("commander");
        const path = require("node:path");
        require("dotenv").config({ path: path.join(__dirname, "..", ".env") });
        const { Configuration, OpenAIApi } = require("openai");
        const api = new OpenAIApi(new Configuration({ apiKey: process.env.OPENAI_KEY }));
        program.option("-m, --model <name>", "model", "gpt-4").parse();
        async function main() {
            const { data } = await api.createChatCompletion({
                model: program.opts().model, max_tokens: 1_000,
            });
            console.log(data.choices[0].message.content);
        }
        main().catch(console.error);
    """.strip(), "javascript")
    assert named(found, "config").args == ({"path": "../.env"},)
    asked = named(found, "createChatCompletion")
    assert asked.receiver is named(found, "OpenAIApi") and asked.named["max_tokens"] == 1000
    assert asked.receiver.args == (named(found, "Configuration"),)


def test_a_worker() -> None:
    found = code("""
        import Anthropic from "@anthropic-ai/sdk";
        export default {
            async fetch(request: Request, env: Env, ctx: ExecutionContext) {
                const client = new Anthropic({ apiKey: env.ANTHROPIC_API_KEY });
                const answer = await client.messages.create({ model: "claude-3", max_tokens: 9 });
                return Response.json(answer);
            },
        } satisfies ExportedHandler<Env>;
    """)
    client = named(found, "default")
    assert client.callee == "@anthropic-ai/sdk.default"
    assert client.named["apiKey"] == Env("ANTHROPIC_API_KEY")
    assert named(found, "create").receiver is client and named(found, "create").within == "fetch"


def test_a_component() -> None:
    found = code("""
        export function Chat({ id }: Props) {
            const { messages, append } = useChat({ api: "/api/chat", id });
            return <Form onSubmit={async (e) => { await append({ content: `Hi ${id}` }) }} />;
        }
    """, "tsx")
    assert named(found, "useChat").named["api"] == "/api/chat"
    append = named(found, "append")
    assert append.receiver is named(found, "useChat")
    assert append.named["content"] == Prompt("Hi {id}", ("id",))
