/** The type of `import shader from '…/name.wgsl'`; the value is made by `shaders/include.mjs` when bundling. */
declare module '*.wgsl' {
  const shader: import('./gpu/shader.ts').Shader;
  export default shader;
}
