import assert from "node:assert/strict";
import { isIP } from "node:net";
import fc from "fast-check";
import { formatIp, formatIpRange, isInRange, parseIp, parseIpRange } from "../src/ip_address.ts";

Deno.test("parseIp reads what node:net takes for an address, and nothing else", () => {
  const texts = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.string({ unit: fc.constantFrom(..."0123456789abcdefF:.:/%") }),
    fc.tuple(fc.ipV6(), fc.nat(50), fc.constantFrom(":", ".", "0", "g", "")).map(([text, at, put]) =>
      text.slice(0, at) + put + text.slice(at + 1)
    ),
    fc.ipV4().map((text) => `::ffff:${text}`),
    fc.ipV4().map((text) => `64:ff9b::${text}`),
  );
  const odd = [
    "",
    ":",
    "::",
    ":::",
    "1::",
    "::1",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "01.2.3.4",
    "1.2.3",
    "1.2.3.4.",
    "1.2.3.4:",
  ];
  fc.assert(
    fc.property(texts, (text) => {
      assert.equal(parseIp(text) !== null, isIP(text) !== 0 && !text.includes("%"), text);
    }),
    { examples: odd.map((text) => [text]), numRuns: 2_000 },
  );
});

Deno.test("formatIp writes one spelling for each address, the one browsers write", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.ipV6(),
        fc.constantFrom(
          "::",
          "::1",
          "1::",
          "0:0:1::",
          "1:0:0:2:0:0:0:3",
          "2001:db8:0:1:1:1:1:1",
          "10:0:0:1:0:0:1:0",
          "0:0:1:0:0:1:1:1",
        ),
      ),
      (text) => {
        const octets = parseIp(text)!;
        if (octets.length === 4) return;
        assert.equal(formatIp(octets), new URL(`http://[${text}]`).hostname.slice(1, -1), text);
        assert.deepEqual(parseIp(formatIp(octets)), octets);
      },
    ),
  );
  assert.equal(formatIp(parseIp("::FFFF:192.0.2.1")!), "192.0.2.1");
});

Deno.test("parseIpRange reads CIDR notation, and refuses bits behind the prefix", () => {
  const show = (text: string) => {
    const range = parseIpRange(text);
    return range && formatIpRange(range);
  };
  assert.equal(show("10.0.0.0/8"), "10.0.0.0/8");
  assert.equal(show("192.0.2.1"), "192.0.2.1/32");
  assert.equal(show("0.0.0.0/0"), "0.0.0.0/0");
  assert.equal(show("2001:DB8::/32"), "2001:db8::/32");
  assert.equal(show("::1"), "::1/128");
  assert.equal(show("::ffff:10.0.0.0/104"), "10.0.0.0/8");
  for (
    const text of [
      "",
      "/8",
      "10.0.0.0/",
      "10.0.0.0/33",
      "10.0.0.0/08",
      "10.0.0.1/8",
      "::1/127",
      "::/129",
      "a/8",
      "10.0.0.0/8/8",
      "::ffff:0:0/95",
    ]
  ) {
    assert.equal(parseIpRange(text), null, text);
  }
});

Deno.test("isInRange compares the bits of the prefix and no others", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.nat(128),
      fc.nat(127),
      (octets, prefixLength, bit) => {
        octets[0] = 0x20;
        const network = octets.map((octet, i) =>
          octet & ~(0xff >> Math.min(Math.max(prefixLength - 8 * i, 0), 8))
        );
        const other = octets.with(bit >> 3, octets[bit >> 3]! ^ (0x80 >> (bit & 7)));
        const range = { octets: network, prefixLength };
        assert.equal(isInRange(octets, range), true);
        assert.equal(isInRange(other, range), bit >= prefixLength);
      },
    ),
  );
  assert.equal(isInRange(parseIp("10.1.2.3")!, parseIpRange("::/0")!), false);
  assert.equal(isInRange(parseIp("::ffff:10.1.2.3")!, parseIpRange("10.0.0.0/8")!), true);
  assert.equal(isInRange(parseIp("::1")!, parseIpRange("0.0.0.0/0")!), false);
});
