// SHA-256 of the fixed test sets (evaluation.ts). They change only on purpose: figures measured on other sets do not compare.

export const FINGERPRINTS: Readonly<Record<string, string>> = {
  "operands A": "82dcf6f0685346686be83071d1e65d3ac982914ca095fd1a72c06383df94eab7",
  "operands B": "6094caf10f57dad00f467fd111c576521a62d1a9e213d5a3d28d75af6e1dc06c",
  "operands C": "2756ba684aeef718adecd52c0cdc560bbbac11f61bebb76c9cc693417899d9aa",
  "operands D": "29cf23bca9c632f95109aa811543c267df6a9399efac077be03c61f5ddbc2e37",
  "operands manners": "567e316a208d4b406b6f82e26e4e3530efa07b716891522e4e6b5359e417a43f",
  "phrasing A": "05fc27e1e67ed6d243b758292b760e5104c5b6860580429ec24ba93caedcf684",
  "phrasing B": "3646fe156c5b08bb8bfc3a5417de89dffc7681ea87b1ed123baad0a6f9a5b8fd",
  "phrasing C": "ce3236befb79d25e90cd58efc0b9b1a98c215501939e370605700747a19a9d21",
  "phrasing D": "14c97b5804885bd07aa3d7d2b3f48f03b706fd2ae8e941f9ce18eeee0eb1144e",
  "phrasing manners": "698e75c021723e18b4c515c2a07f5adaa9a42b54018f6e5ebf62e31a0a4bbce8",
};
