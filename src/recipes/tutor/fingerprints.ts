// SHA-256 of the fixed test sets (evaluation.ts). They change only on purpose: figures measured on other sets do not compare.

export const FINGERPRINTS: Readonly<Record<string, string>> = {
  "operands A": "1a951e8188e28ca58c36d4e7eea224e6bf33a4c5d3e7aa7327b6503a54542d3f",
  "operands B": "aefef13bd378a2c98245f44ed3c2f74049fc98b0fb4fdebeba6fbdbc66359b01",
  "operands C": "4cb4909daeb6e007e4eba870cbb2cf3257f3fee7f3ccd6c33ad57ad708d51921",
  "operands D": "f4657e0510e46b34e413c033031c5da684c8c951b3f15e53ff9ca0ba474f829f",
  "operands manners": "a2fcb0a47cf88c30368a46975bd4bd832c3aa4973a97da5f4059a9b8a3a83c7f",
  "phrasing A": "bcef64c2a515dbb54009a99b009f154fbf31ce3c4f84721a0bc872d3247cbff2",
  "phrasing B": "0252112e2569bd14c212bae0f30cc7ac27efb873872d79b14906456cfe9cf78c",
  "phrasing C": "ba4d0792345ebe22e4e44d4381f6d9353a2b21c8959185fa017079d2fd0299b1",
  "phrasing D": "45afc080e4ed5098ca92024c85010b11ae36778266ff08a1d80642352bb68282",
  "phrasing manners": "8792819f3697173e94e98de6664ceebe3728b376add21bda3da00ebcf679d036",
};
