/** Types of what a test uses of state.js. */
export function demoFolderOf(env: Readonly<Record<string, string | undefined>>): string;
