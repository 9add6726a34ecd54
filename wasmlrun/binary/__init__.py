"""What a WebAssembly file says about itself: readers of modules and components."""
