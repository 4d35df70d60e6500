/** The message of an error. A browser's QuotaExceededError has a name but no message. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
