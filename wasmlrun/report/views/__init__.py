"""What commands find out, as answers that every form can show."""
