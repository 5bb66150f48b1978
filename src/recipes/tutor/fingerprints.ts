// SHA-256 of the fixed test sets (evaluation.ts). They change only on purpose: figures measured on other sets do not compare.

export const FINGERPRINTS: Readonly<Record<string, string>> = {
  "operands A": "401ad297c28d8df3277e3d0fe7e01a97621f7287493e303a3be6af462487637a",
  "operands B": "60f2ed8530bc4aac5016be8f20fd10cc23626757e14a5482d4d32be9734608da",
  "operands C": "8edd15a9f99e7916d7d67cedbf4d179a58fd1cdc10f7209af94ed7781e60d868",
  "operands D": "7b38b467ab9de11436335240d063ed59ff3b7254b1e447cbb816a7567f84ed1a",
  "operands manners": "825fd911857dee8710765a4de67fa92612282b2c1af386e70d3996e72012e98e",
  "phrasing A": "6757e5f96559aae26334c19fddf5961816c161d56bd8620406b190e45e5c9ddd",
  "phrasing B": "c165b2e688b0714fba0a9970e5cbc8e657313bcd5ed409606e96a5a1fc6f132d",
  "phrasing C": "92dd42cfa4da4544577bf1faf02aa9b58d7932a0b6c78a3be02e983da2144dab",
  "phrasing D": "a3bf7aea2ed63d1fe88579539d9f991fbdeec1a470c1380a97d2b8526421bd28",
  "phrasing manners": "3fbd9805cd5612caab40e2af1fb5a7c9cbfa8c59b63b0f159446438cc9404c9b",
};
