"""What must be said wherever some numbers are shown."""

PERSONALITY_NOTE = (
    "apparent personality is what strangers read into a face, not what a person is: for research on such impressions only, "
    "never to choose, rank or judge people"
)
