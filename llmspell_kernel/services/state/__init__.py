"""State: values that outlive the script which has set them, by scope and key."""
