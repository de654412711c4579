"""Layouts of detectors' outputs: one a file, each recognized by names, shapes and properties of an ONNX file."""
