"""What only a device can show: `python -m tests.gpu`."""
