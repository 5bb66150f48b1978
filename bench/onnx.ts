// Writes the small ONNX models that suites run in ONNX Runtime: chains of matrix products. Just enough of protobuf for that
// (onnx.proto: ModelProto, GraphProto, NodeProto, TensorProto).

const varint = (value: number): number[] => {
  const bytes: number[] = [];
  while (value > 127) {
    bytes.push((value % 128) | 128);
    value = Math.floor(value / 128);
  }
  return [...bytes, value];
};
const field = (number: number, body: Uint8Array): Buffer =>
  Buffer.concat([Uint8Array.from(varint(number * 8 + 2)), Uint8Array.from(varint(body.length)), body]);
const whole = (number: number, value: number): Buffer => Buffer.from([...varint(number * 8), ...varint(value)]);
const text = (number: number, value: string): Buffer => field(number, Buffer.from(value));

const valueInfo = (name: string, shape: number[]): Buffer => {
  const dims = shape.map((size) => field(1, whole(1, size)));
  const tensor = Buffer.concat([whole(1, 1), field(2, Buffer.concat(dims))]);
  return Buffer.concat([text(1, name), field(2, field(1, tensor))]);
};

/**
 * y = x·w0·w1 … with the weights [rows, columns] f32 inside the model, or, where `constant` is false, as its inputs w0, w1 … .
 */
export function productChain(
  x: number[],
  weights: { shape: number[]; data: Float32Array }[],
  constant: boolean,
): Buffer {
  const nodes: Buffer[] = [];
  const inputs = [field(11, valueInfo("x", x))];
  const tensors: Buffer[] = [];
  weights.forEach(({ shape, data }, i) => {
    const from = i === 0 ? "x" : `y${i - 1}`;
    const to = i === weights.length - 1 ? "y" : `y${i}`;
    nodes.push(
      field(1, Buffer.concat([text(1, from), text(1, `w${i}`), text(2, to), text(3, `n${i}`), text(4, "MatMul")])),
    );
    if (!constant) inputs.push(field(11, valueInfo(`w${i}`, shape)));
    else {
      const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      tensors.push(
        field(5, Buffer.concat([...shape.map((d) => whole(1, d)), whole(2, 1), text(8, `w${i}`), field(9, raw)])),
      );
    }
  });
  const output = field(12, valueInfo("y", [x[0], weights[weights.length - 1].shape[1]]));
  const graph = Buffer.concat([...nodes, text(2, "chain"), ...tensors, ...inputs, output]);
  return Buffer.concat([whole(1, 8), field(7, graph), field(8, Buffer.concat([text(1, ""), whole(2, 17)]))]);
}
