/** Facts of machines and processes: parses the output of each system's tools, and asks this machine about this process. */
import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { factsOf, machineOfIoreg, machineOfReg, startOfPs, UNKNOWN } from '../../src/node/process-facts.ts';

const IOREG = `+-o J314sAP  <class IOPlatformExpertDevice, id 0x100000258, registered, matched, active, busy 0 (72 ms), retain 44>
    {
      "manufacturer" = <"Apple Inc.">
      "IOPlatformSerialNumber" = "C02XXXXXXXXX"
      "IOPlatformUUID" = "5E8A3A2C-11F0-5D7B-9C43-0B5D6E7F8A91"
      "clock-frequency" = <00366e01>
    }
`;
const REG =
  '\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Cryptography\r\n    MachineGuid    REG_SZ    8f0c5e1a-3d3b-4f6e-9d55-b7f3f0f0a1c2\r\n\r\n';

describe('node/process-facts', () => {
  it('reads the start time of a process from ps, with one-digit days too', () => {
    expect(startOfPs('Mon Nov 30 11:05:01 2026    \n')).to.equal(
      String(Date.UTC(2026, 10, 30, 11, 5, 1) / 1000),
    );
    expect(startOfPs('Tue Dec  1 09:05:01 2026\n')).to.equal(String(Date.UTC(2026, 11, 1, 9, 5, 1) / 1000));
    for (const output of ['', 'ps: illegal option', 'mar  1 déc 09:05:01 2026'])
      expect(startOfPs(output)).to.equal(UNKNOWN);
  });

  it('reads machine ids from the tools of macOS and Windows', () => {
    expect(machineOfIoreg(IOREG)).to.equal('5E8A3A2C-11F0-5D7B-9C43-0B5D6E7F8A91');
    expect(machineOfReg(REG)).to.equal('8f0c5e1a-3d3b-4f6e-9d55-b7f3f0f0a1c2');
    for (const read of [machineOfIoreg, machineOfReg])
      for (const output of [
        '',
        'ERROR: Access is denied.\r\n',
        '"IOPlatformUUID" = ',
        'MachineGuid    REG_SZ    ',
      ])
        expect(read(output)).to.equal(UNKNOWN);
  });

  it('returns UNKNOWN if the tools of a system are missing', () => {
    if (process.platform === 'win32') return;
    expect(factsOf('win32').machine()).to.equal(UNKNOWN);
    for (const what of ['boot', 'namespace'] as const) expect(factsOf('win32')[what]()).to.equal(UNKNOWN);
    expect(factsOf('win32').startOf(process.pid)).to.equal(UNKNOWN);
  });

  it('gives the start time of this process, from ps and from the system alike', function () {
    const { startOf, hasEnded } = factsOf('a system of which nothing is known');
    try {
      execFileSync('ps', ['-o', 'lstart=', '-p', String(process.pid)], { stdio: 'ignore' });
    } catch {
      this.skip();
    }
    const began = Date.now() / 1000 - process.uptime();
    // A busy machine begins a program some time after it has made its process.
    expect(Number(startOf(process.pid))).to.be.closeTo(began, 120);
    expect(startOf(process.pid)).to.equal(startOf(process.pid));
    expect(startOf(999_999_999)).to.equal(UNKNOWN);
    expect([hasEnded(process.pid), hasEnded(999_999_999)]).to.deep.equal([false, false]);
  });
});
