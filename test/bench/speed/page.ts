/**
 * placeholder
 */
export async function speedPage(_: string): Promise<string[]> {
  return [];
}
