/** Imports a test file that was built for pages, in a page. */
export const loadServed = (file: string) =>
  import(new URL(`/${file.replace(/\.ts$/, '.js')}`, location.href).href);
