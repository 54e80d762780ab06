// The npm package @vladmandic/face-api with its WASM backend: detect, align, embed, age, gender and expressions.
//
//     node face_api.js FOLDER PHOTO...
//
// FOLDER has node_modules; a PHOTO is raw RGB, named WIDTHxHEIGHT-*.rgb. For each line on standard input all photos are
// looked at once; a line of JSON on standard output tells the seconds and the number of faces.
"use strict";

const fs = require("fs");
const path = require("path");
const readline = require("readline");
const { createRequire } = require("module");

const [folder, ...photos] = process.argv.slice(2);
const load = createRequire(path.join(path.resolve(folder), "index.js"));
const packageFolder = path.dirname(load.resolve("@vladmandic/face-api/package.json"));
const wasmFolder = path.dirname(load.resolve("@tensorflow/tfjs-backend-wasm/package.json"));
const tf = load("@tensorflow/tfjs");
load("@tensorflow/tfjs-backend-wasm").setWasmPaths(path.join(wasmFolder, "dist") + path.sep);
const api = require(path.join(packageFolder, "dist", "face-api.node-wasm.js"));

function tensorOf(file) {
  const [, width, height] = path.basename(file).match(/^(\d+)x(\d+)-/);
  return tf.tensor3d(new Uint8Array(fs.readFileSync(file)), [Number(height), Number(width), 3], "int32");
}

async function facesOf(tensor) {
  const options = new api.SsdMobilenetv1Options({ minConfidence: 0.5 });
  const faces = await api
    .detectAllFaces(tensor, options)
    .withFaceLandmarks()
    .withFaceExpressions()
    .withAgeAndGender()
    .withFaceDescriptors();
  return faces.length;
}

async function main() {
  await tf.setBackend("wasm");
  await tf.ready();
  const models = path.join(packageFolder, "model");
  const nets = ["ssdMobilenetv1", "faceLandmark68Net", "faceRecognitionNet", "ageGenderNet", "faceExpressionNet"];
  for (const net of nets) await api.nets[net].loadFromDisk(models);
  const tensors = photos.map(tensorOf);
  for (const tensor of tensors) await facesOf(tensor);
  console.log("ready");
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    const start = process.hrtime.bigint();
    let faces = 0;
    for (const tensor of tensors) faces += await facesOf(tensor);
    console.log(JSON.stringify({ seconds: Number(process.hrtime.bigint() - start) / 1e9, faces }));
  }
}

main();
