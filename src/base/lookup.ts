/**
 * Lookups in plain-object tables by a name from outside: a file, a flag, a caller. Plain indexing would also find
 * inherited properties (`constructor`, `toString`, `__proto__`); these functions only see a table's own entries.
 */

/** The table's own entry of that name, undefined for every other name. */
export function own<Table extends object>(table: Table, name: PropertyKey): Table[keyof Table] | undefined {
  return Object.hasOwn(table, name) ? table[name as keyof Table] : undefined;
}

/** Whether the table has its own entry with that name. */
export function isOwn<Table extends object>(table: Table, name: PropertyKey): name is keyof Table {
  return Object.hasOwn(table, name);
}
