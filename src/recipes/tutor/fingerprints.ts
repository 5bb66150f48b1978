// SHA-256 of the fixed test sets (evaluation.ts). They change only on purpose: figures measured on other sets do not compare.

export const FINGERPRINTS: Readonly<Record<string, string>> = {
  "operands A": "1a951e8188e28ca58c36d4e7eea224e6bf33a4c5d3e7aa7327b6503a54542d3f",
  "operands B": "b8c63d0ff04dd10e12f7a807fa3bec0bfb68bcd353a71427e4e1577c20201725",
  "operands C": "3422cd5b80f6f8a251858af0cf2ef55e8030998be8c13db2abf41627f60830d7",
  "operands D": "9a7b77919f7564e738dae9094bd939931f1c0bd40e45721be994230e6960f6e6",
  "operands manners": "e663763e3fd2ed7773b04ffb28b8c472b825551d59792212c30ff7e8856687d8",
  "phrasing A": "bcef64c2a515dbb54009a99b009f154fbf31ce3c4f84721a0bc872d3247cbff2",
  "phrasing B": "e0271a12b928a10ad87391e2903ca0805535ece3e7e2f76d93e4bdc5fdc15405",
  "phrasing C": "0b9d099809020a3bbaddf2fcc2576740b8a2b6045b57418ee080c0a6fe2d52a2",
  "phrasing D": "45afc080e4ed5098ca92024c85010b11ae36778266ff08a1d80642352bb68282",
  "phrasing manners": "8a93583310a5f313cf7095fd5a9f371779a40f0843001dc7cfc2c82116f96908",
};
