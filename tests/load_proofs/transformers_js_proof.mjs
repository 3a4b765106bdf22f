// transformers.js in Node: the folder is opened by its own classes, fed as its processor does.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { env, RawImage, SamModel, SamProcessor } from "@huggingface/transformers";

const [folder, inputs, output] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = path.dirname(folder) + "/";
const name = path.basename(folder);
const model = await SamModel.from_pretrained(name, { dtype: "fp32", device: "cpu" });
const processor = await SamProcessor.from_pretrained(name);
const { height, width, pixels, prompts } = JSON.parse(readFileSync(inputs, "utf8"));
const image = new RawImage(Uint8ClampedArray.from(Buffer.from(pixels, "base64")), width, height, 3);
const answers = {};
for (const [key, { points, labels }] of Object.entries(prompts)) {
  const ready = await processor(image, { input_points: [[points]], input_labels: [[labels]] });
  const { pred_masks, iou_scores } = await model(ready);
  const [masks] = await processor.post_process_masks(
    pred_masks, ready.original_sizes, ready.reshaped_input_sizes,
  );
  answers[key] = {
    shape: masks.dims,
    masks: Buffer.from(Uint8Array.from(masks.data, Number)).toString("base64"),
    iou: Array.from(iou_scores.data),
  };
}
writeFileSync(output, JSON.stringify(answers));
