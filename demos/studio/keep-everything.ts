/** The card of the tab Keep that hands out everything as one file, and takes such a file in. */
import { byId, onPress, setText } from '../shared/dom.ts';
import { downloadFile } from '../shared/download.ts';
import { messageOf } from '../shared/message-of.ts';
import { exportEverything, importEverything, type Kept } from './everything.ts';

/** `onImport` hears that runs and judgments have come. */
export function wireEverything(kept: Kept, onImport: () => void): void {
  const said = byId('everything-said', HTMLElement);
  const problem = byId('everything-error', HTMLElement);
  const input = byId('everything-input', HTMLInputElement);
  const tell = async (work: () => Promise<string>) => {
    setText(problem, '');
    setText(said, '');
    try {
      setText(said, await work());
    } catch (error) {
      setText(problem, messageOf(error));
    }
  };
  onPress(
    byId('everything-export', HTMLButtonElement),
    () =>
      void tell(async () => {
        const { file, said } = await exportEverything(kept);
        downloadFile(file, file.name);
        return `${file.name}: ${said}`;
      }),
  );
  onPress(byId('everything-import', HTMLButtonElement), () => input.click());
  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    input.value = '';
    if (!file) return;
    void tell(async () => {
      const what = await importEverything(file, kept);
      onImport();
      return `${file.name}: ${what}`;
    });
  });
}
