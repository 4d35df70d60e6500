/**
 * The configuration types are computed, but an editor shows them as if they were written out: every field has its comment.
 */
import { expect } from 'chai';
import type { InterfaceDeclaration } from 'typescript/unstable/ast';
import { SyntaxKind } from 'typescript/unstable/ast';
import { LORA } from '../../src/io/lora-settings.ts';
import { TRAINERS } from '../../src/train/settings/trainers.ts';
import { nodesOf, TypedSources } from './typed.ts';

const fieldsOf = (name: keyof typeof TRAINERS) => {
  const { settings, options } = TRAINERS[name];
  return Object.keys({ ...settings, ...options });
};

/** Where each type is declared, and the fields that it must have. */
const TYPES: [name: string, path: string, fields: string[]][] = [
  ['DPOConfig', 'src/train/settings/dpo.ts', fieldsOf('dpo')],
  ['CPOConfig', 'src/train/settings/cpo.ts', fieldsOf('cpo')],
  ['ORPOConfig', 'src/train/settings/orpo.ts', fieldsOf('orpo')],
  ['KTOConfig', 'src/train/settings/kto.ts', fieldsOf('kto')],
  ['SFTConfig', 'src/train/settings/sft.ts', fieldsOf('sft')],
  ['LoraConfig', 'src/io/lora-settings.ts', Object.keys(LORA)],
];

describe('configuration types', () => {
  let sources: TypedSources;
  before(() => {
    sources = new TypedSources();
  });
  after(() => sources.close());

  for (const [name, path, fields] of TYPES) {
    it(`${name} has a commented field for each setting`, () => {
      const { checker } = sources;
      const declarations = nodesOf(sources.file(path)).filter(
        (node): node is InterfaceDeclaration => node.kind === SyntaxKind.InterfaceDeclaration,
      );
      const declaration = declarations.find((node) => node.name.text === name)!;
      const type = checker.getTypeAtLocation(declaration.name);
      const properties = checker.getPropertiesOfType(type!);
      expect(properties.map((property) => property.name)).to.have.members(fields);
      const silent = properties.filter(
        (property) => checker.getDocumentationCommentOfSymbol(property) === '',
      );
      expect(silent.map((property) => property.name)).to.deep.equal([]);
    });
  }
});
