<#
.SYNOPSIS
Run a host of real MetaTrader 5 terminals on Windows (Wine: bin/terminal-host).

.DESCRIPTION
  bin\terminal-host.ps1 add SERVER LOGIN    make the terminal of an account, from the base install
  bin\terminal-host.ps1 open SERVER LOGIN   show it, to look at its settings
  bin\terminal-host.ps1 list                the terminals and what they take on the disk
  bin\terminal-host.ps1 work NAME           run the worker of the terminal host NAME

TERMINALS_HOME is the folder of the terminals; TERMINAL_BASE an install that was set up once
(default: C:\Program Files\MetaTrader 5); see docs\terminal-host.md.
#>
param(
    [Parameter(Mandatory)] [ValidateSet("add", "open", "list", "work")] [string] $Action,
    [string] $Name,
    [long] $Login
)
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")
$python = Join-Path $PWD ".venv\Scripts\python.exe"
$base = if ($env:TERMINAL_BASE) { $env:TERMINAL_BASE } else { "C:\Program Files\MetaTrader 5" }
if (-not $env:TERMINALS_HOME) { throw "Set TERMINALS_HOME to the folder of the terminals." }

function Get-Folder {
    $folder = & $python accounts\terminals\processes\folders.py $Name $Login
    if ($LASTEXITCODE -ne 0) { throw "SERVER and LOGIN are needed." }
    Join-Path $env:TERMINALS_HOME $folder
}

function Add-Terminal {
    $folder = Get-Folder
    if (-not (Test-Path "$base\terminal64.exe")) {
        throw "There is no terminal64.exe in $base (TERMINAL_BASE)."
    }
    if (Test-Path "$folder\terminal64.exe") { throw "$folder has a terminal already." }
    # Settings come along; accounts, their saved passwords, histories and logs do not.
    robocopy $base $folder /E /NFL /NDL /NJH /NJS /NP /XF accounts.dat tradeguard.lock `
        /XD "$base\bases" "$base\logs" "$base\tester" | Out-Null
    if ($LASTEXITCODE -ge 8) { throw "The copy to $folder is not complete." }
    # Only this user, administrators and the system may look inside.
    icacls $folder /inheritance:r /grant "${env:USERNAME}:(OI)(CI)F" "*S-1-5-32-544:(OI)(CI)F" `
        "*S-1-5-18:(OI)(CI)F" | Out-Null
    Write-Output "Made $folder"
    Write-Output @"
The base install should have been set up like this, for its copies take it over; look once with
"open":
  Options, Expert Advisors: [x] Allow algorithmic trading
                            [ ] Disable algorithmic trading when the account has been changed
                            [ ] Disable algorithmic trading when the profile has been changed
                            [ ] Disable algorithmic trading via external Python API
  Options, Charts:          Max bars in chart: the smallest
  Options, Server:          [ ] Enable news
  Options, Events:          [ ] Enable
  Close all charts; hide every symbol that is not traded.
"@
}

switch ($Action) {
    "add" { Add-Terminal }
    "open" { Start-Process (Join-Path (Get-Folder) "terminal64.exe") -ArgumentList "/portable" }
    "list" {
        Get-ChildItem $env:TERMINALS_HOME -Directory |
            Where-Object { Test-Path (Join-Path $_.FullName "terminal64.exe") } |
            ForEach-Object {
                $bytes = (Get-ChildItem $_.FullName -Recurse -File | Measure-Object Length -Sum).Sum
                "{0,8:N0} MB  {1}" -f ($bytes / 1MB), $_.FullName
            }
    }
    "work" {
        if (-not $Name) { throw "Which of TERMINAL_HOSTS is this machine?" }
        $env:TERMINAL_HOST = $Name
        & $python -m celery -A tradeguard worker --pool=threads -Q "terminals.$Name" -n "terminals@$Name"
        exit $LASTEXITCODE
    }
}
