// SHA-256 of the fixed test sets (evaluation.ts). They change only on purpose: figures measured on other sets do not compare.

export const FINGERPRINTS: Readonly<Record<string, string>> = {
  "operands A": "82dcf6f0685346686be83071d1e65d3ac982914ca095fd1a72c06383df94eab7",
  "operands B": "5251fb4a504cdb6e52d4f33233945a885e8ba4466195fdb2832a2928c69b6bee",
  "operands C": "13e80b52246c05fedd1e13a59bf8ea4a7758da6bb85227446718f7d9608f7690",
  "operands D": "bc5b97631ea308685faaa5bd5fcb2de6818a2b93ae77251166adf61967dd89ea",
  "operands manners": "2e00665249bb32d7d6b1a72f736beb238ffe9f2d850d95fef9f8971dc64378e9",
  "phrasing A": "05fc27e1e67ed6d243b758292b760e5104c5b6860580429ec24ba93caedcf684",
  "phrasing B": "3646fe156c5b08bb8bfc3a5417de89dffc7681ea87b1ed123baad0a6f9a5b8fd",
  "phrasing C": "79e561228d284fb2b7766c786c127d9b5c13bf9663469aea1f99a5eeef37c83e",
  "phrasing D": "c76aa7d115b0d66d7c34fde4fb30a5d25d085b274dd181055cfd996f9d775b13",
  "phrasing manners": "72b0f7be604c3ac2caca01139c682d5be0c505aad35004b80032845a72e89162",
};
