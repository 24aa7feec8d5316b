from mien.verbs.main import main

main()
