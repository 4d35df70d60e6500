/**
 * uPlot by another name, so that whoever imports it can import `language.ts` first.
 */
export { default } from 'uplot';
