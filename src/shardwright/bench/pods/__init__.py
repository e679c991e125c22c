"""What runs in the pod of a bench: standard library only, whatever the image."""
