/**
 * The reader's language, for dates and large numbers. Chromium on a system without one reports `en-US@posix`, which number
 * formats reject, and uPlot uses the language when it loads: so this module corrects it, and must be imported before uPlot.
 */

function validLanguage(): string {
  try {
    Intl.getCanonicalLocales(navigator.language);
  } catch {
    Object.defineProperty(navigator, 'language', { value: 'en-US' });
  }
  return navigator.language;
}

export const language = validLanguage();
