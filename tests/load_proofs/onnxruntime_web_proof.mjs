// onnxruntime-web's WebAssembly in Node, as a web page would run the pair of ONNX files.
import { readFileSync, writeFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const [folder, inputs, output] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
const open = (file) =>
  ort.InferenceSession.create(readFileSync(`${folder}/${file}`), { executionProviders: ["wasm"] });
const { height, width, pixels, prompts } = JSON.parse(readFileSync(inputs, "utf8"));
const image = Float32Array.from(Buffer.from(pixels, "base64"));
const encoder = await open("encoder.onnx");
const { image_embeddings } = await encoder.run({
  input_image: new ort.Tensor("float32", image, [height, width, 3]),
});
const decoder = await open("decoder.onnx");
const answers = {};
for (const [key, { points, labels }] of Object.entries(prompts)) {
  const flat = [...points, [0, 0]].flat();
  const found = await decoder.run({
    image_embeddings,
    point_coords: new ort.Tensor("float32", flat, [1, points.length + 1, 2]),
    point_labels: new ort.Tensor("float32", [...labels, -1], [1, labels.length + 1]),
    mask_input: new ort.Tensor("float32", new Float32Array(256 * 256), [1, 1, 256, 256]),
    has_mask_input: new ort.Tensor("float32", [0], [1]),
    orig_im_size: new ort.Tensor("float32", [height, width], [2]),
  });
  const bytes = Uint8Array.from(found.masks.data, (value) => (value > 0 ? 1 : 0));
  answers[key] = {
    shape: found.masks.dims,
    masks: Buffer.from(bytes).toString("base64"),
    iou: Array.from(found.iou_predictions.data),
  };
}
writeFileSync(output, JSON.stringify(answers));
