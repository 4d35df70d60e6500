/**
 * The reader's language, for dates and large numbers. Chromium on a system without one says `en-US@posix`, which number
 * formats refuse, and uPlot asks for one as it loads: so this module mends it, and is to be imported before uPlot.
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
