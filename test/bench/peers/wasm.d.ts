/** The bundler copies the file and gives its name. */
declare module '*.wasm' {
  const name: string;
  export default name;
}
