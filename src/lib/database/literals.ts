/**
 * Values in statements that take no parameters: COPY has none. Names in the text, such as `:devices`, are
 * replaced by escaped literals in one pass, so that a value is never looked at again.
 */
import { escapeLiteral } from 'pg';

export type LiteralValue = string | number | boolean | null | readonly string[];

/** `'it''s'`, `ARRAY['a', 'b']::text[]`, `NULL::text`. A NUL character is the caller's to refuse. */
function literal(value: LiteralValue): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') return escapeLiteral(value);
  if (typeof value === 'object')
    return `ARRAY[${value.map((item) => escapeLiteral(item)).join(',')}]::text[]`;
  return String(value);
}

/**
 * @param sql with `:name` where a value goes (`::` stays a cast); comments must have none
 * @throws Error for a name without a value: a defect
 */
export function bindLiterals(sql: string, values: Readonly<Record<string, LiteralValue>>): string {
  return sql.replace(/(?<!:):([a-z_]+)/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for :${name}`);
    return literal(value);
  });
}
