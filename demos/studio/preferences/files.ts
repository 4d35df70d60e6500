/** Import and export of judgments. What a file needs (CSV, Parquet, the readers) is loaded when a person asks for it. */
import type { Form } from './file-columns.ts';
import type { ReadJudgments } from './file-reading.ts';
import type { ExportedFile, FileType } from './file-writing.ts';
import type { Judgment, Prompt } from './judgment.ts';

export { type Merged, merge, mergeText } from './merging.ts';
export type { ExportedFile, FileType, Form };

/** The judgments in a form, as files to download: none where no judgment makes a row, two where texts and chats are mixed. */
export async function exportFiles(
  judgments: readonly Judgment[],
  options: { form: Form; type: FileType },
): Promise<ExportedFile[]> {
  return (await import('./file-writing.ts')).exportFiles(judgments, options);
}

/** The judgments of a file, and what could not be read; rejects with a sentence where nothing can. {@link merge} is next. */
export async function importFile(file: File): Promise<ReadJudgments> {
  return (await import('./file-reading.ts')).readJudgments(file);
}

/** The prompts of a text, JSONL, CSV or Parquet file. */
export async function readPrompts(file: File): Promise<{ prompts: Prompt[]; problems: string[] }> {
  return (await import('./file-reading.ts')).readPromptFile(file);
}
