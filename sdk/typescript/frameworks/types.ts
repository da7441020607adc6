// Compiled, and never run: the types of the AI SDK and ours fit together.

import { action, Denied, governed, type Permit } from "@dragons/agent";
import { govern } from "@dragons/agent/vercel";
import { generateText, tool, type LanguageModel } from "ai";
import { z } from "zod";

export async function typed(model: LanguageModel): Promise<string> {
  const book = tool({
    inputSchema: z.object({ account: z.string() }),
    execute: async ({ account }) => ({ booked: account }),
  });
  const tools = govern({ book }, { scopes: { book: "write:ledger/{account}" } });
  const { text } = await generateText({ model, tools, prompt: "book" });
  return text;
}

export const add: (one: { n: number }) => Promise<number> = governed("run:add/{n}", async ({ n }) => n + 1);

export async function permitted(): Promise<Permit | undefined> {
  try {
    return await action("read:a", (action) => action.permit);
  } catch (error) {
    if (error instanceof Denied) {
      const code: string = error.code;
      throw new Error(code);
    }
    throw error;
  }
}
