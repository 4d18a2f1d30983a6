"""Fitted estimators as ONNX graphs: what the converter does not know, or does not do as scikit-learn."""
