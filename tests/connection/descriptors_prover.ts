/** An isolate of descriptors_test.ts: says when it begins to try out how many files it can open, and when it has. */
import { DescriptorBudget } from "../../src/connection/descriptors.ts";

self.onmessage = ({ data: { file, memory } }) => {
  const budget = new DescriptorBudget({ file, memory, isolate: 1 });
  self.postMessage("begins");
  budget.proveAtStart();
  self.postMessage("ended");
};
