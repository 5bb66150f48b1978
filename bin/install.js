// npm's install script: builds the native kernels where a compiler is there. Plain JavaScript, and never a reason for the
// installation to fail: without kernels the WebAssembly build computes.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major > 22 || (major === 22 && minor >= 18)) {
  await import("./strip-types.js");
  const { buildIfPossible } = await import("../scripts/build-native.ts");
  await buildIfPossible();
} else {
  console.warn(
    `weir: Node 22.18 or newer is needed to build the native kernels and to run; this is ${process.version}.`,
  );
}
