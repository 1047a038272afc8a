"""What code says of node-llama-cpp: where models lie, what leads to them, what they are asked."""
