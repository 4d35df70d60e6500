/** What an error says. A browser's QuotaExceededError has a name and no message. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
