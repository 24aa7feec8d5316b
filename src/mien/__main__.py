from mien.cli.main import main

main()
