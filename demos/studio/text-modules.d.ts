/** Files that the build puts in as text. */
declare module 'text:*' {
  const text: string;
  export default text;
}
