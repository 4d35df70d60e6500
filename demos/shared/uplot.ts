/**
 * uPlot under another name, so that importers can import `language.ts` first.
 */
export { default } from 'uplot';
