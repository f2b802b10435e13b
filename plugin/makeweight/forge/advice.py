"""What helps in a job where its forge did not answer."""

AGAIN = "Run the job again later."
LOOK = "Look at the page; running the job again mends it."
