"""What `makeweight init` stands on: a look around, a first makeweight.yaml, and a repository that DVC can work in."""
