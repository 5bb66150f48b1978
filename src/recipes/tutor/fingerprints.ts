// SHA-256 of the fixed test sets (evaluation.ts). They change only on purpose: figures measured on other sets do not compare.

export const FINGERPRINTS: Readonly<Record<string, string>> = {
  "operands A": "d6b259e98933f738bc90860c70e1c84eb8319fbcfceb27aa056820e7c60d75a4",
  "operands B": "644949ede24c4855c896d03e3208f2565eafa79da73af21b92ac20a97e4a1f5a",
  "operands C": "4cb4909daeb6e007e4eba870cbb2cf3257f3fee7f3ccd6c33ad57ad708d51921",
  "operands D": "f4657e0510e46b34e413c033031c5da684c8c951b3f15e53ff9ca0ba474f829f",
  "operands manners": "ed9168e816abf94047968112d8291846f6bea3cbecf6ec1348796ed3ac384176",
  "phrasing A": "fb16f1832d907889ebec7363cab6c2c3d1acfabdbe08644d1615a1e1c980130a",
  "phrasing B": "0dcbcce8b15e6d474826ae3e01171ba687cd05deff86751a39777326ab4ffffd",
  "phrasing C": "ba4d0792345ebe22e4e44d4381f6d9353a2b21c8959185fa017079d2fd0299b1",
  "phrasing D": "45afc080e4ed5098ca92024c85010b11ae36778266ff08a1d80642352bb68282",
  "phrasing manners": "5cb4598d6b7179a0217f1a3fa8c644f47d9cc3961d1a52049b4f1bc343d8281f",
};
