"""Programs that run inside engine images: standard library only, any Python from 3.8 on."""
