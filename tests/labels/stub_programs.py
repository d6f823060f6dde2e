"""Programs that answer like Quantum ESPRESSO, VASP, FHI-aims and ORCA: ``stub_programs.py PROGRAM MODE [ARGUMENTS]``.

MODE is converged, unconverged or crashed. The texts are what the real programs write, as far as it is read: those of
pw.x from a run of version 6.7, the others after their documentation. The system is an OH radical of two atoms.
"""

import sys
from pathlib import Path

ENERGY = -2.0
"""In each program's own unit."""

FORCE = 0.1
"""On the first atom along x, in each program's own unit; the second has the opposite."""


def espresso(mode):
    print("     Program PWSCF v.6.7MaX starts on 22Nov2026 at 20:57:59 ")
    if mode == "crashed":
        print(" %%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%\n     Error in routine c_bands (1):")
        print("     too many bands are not converged\n %%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%")
        sys.exit(1)
    print("""     number of atoms/cell      =            2
     number of atomic types    =            2
     celldm(1)=   7.558905  celldm(2)=   0.000000  celldm(3)=   0.000000
     crystal axes: (cart. coord. in units of alat)
               a(1) = (   1.000000   0.000000   0.000000 )
               a(2) = (   0.000000   1.000000   0.000000 )
               a(3) = (   0.000000   0.000000   1.000000 )
     site n.     atom                  positions (alat units)
         1           O   tau(   1) = (   0.5000000   0.5000000   0.5000000  )
         2           H   tau(   2) = (   0.5000000   0.5000000   0.7500000  )""")
    done = mode == "converged"
    print(f"{'!' if done else ' '}    total energy              =     {ENERGY:.8f} Ry")
    print("     total magnetization       =     1.00 Bohr mag/cell")
    if done:
        print("     convergence has been achieved in  13 iterations")
    else:
        print("     convergence NOT achieved after 100 iterations: stopping")
    print(f"""     Forces acting on atoms (cartesian axes, Ry/au):

     atom    1 type  1   force =     {FORCE:.8f}    0.00000000    0.00000000
     atom    2 type  2   force =    -{FORCE:.8f}    0.00000000    0.00000000

          total   stress  (Ry/bohr**3)                   (kbar)     P=       -0.38
   0.00010000   0.00000000   0.00000000           14.71        0.00        0.00
   0.00000000   0.00010000   0.00000000            0.00       14.71        0.00
   0.00000000   0.00000000   0.00020000            0.00        0.00       29.42

   JOB DONE.""")
    if not done:
        sys.exit(2)


def vasp(mode):
    if mode == "crashed":
        Path("OUTCAR").write_text(" vasp.6.4.2 18Apr23 complex\n")
        print(" VERY BAD NEWS! internal error in subroutine SGRCON")
        sys.exit(1)
    how = "because EDIFF is reached" if mode == "converged" else "EDIFF was not reached (unconverged)"
    Path("OUTCAR").write_text(f""" vasp.6.4.2 18Apr23 complex
   EDIFF  = 0.1E-05   stopping-criterion for ELM
   k-points           NKPTS =      1   number of bands    NBANDS=      8
--------------------------------------- Iteration      1(  14)  ---------------------------------------
------------------------ aborting loop {how} ----------------------------------------
 number of electron       7.0000000 magnetization       1.0000000

 magnetization (x)

# of ion       s       p       d       tot
------------------------------------------
    1        0.000   0.900   0.000   0.900
    2        0.000   0.000   0.000   0.100
--------------------------------------------------
tot          0.000   0.900   0.000   1.000

 General timing and accounting informations for this job:
""")
    Path("vasprun.xml").write_text(f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator><i name="version" type="string">6.4.2</i></generator>
 <incar><i type="int" name="ISPIN">2</i></incar>
 <kpoints><varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1.0</v></varray></kpoints>
 <parameters><separator name="electronic"><i name="NELECT">7.0</i>
  <separator name="electronic spin"><i type="int" name="ISPIN">2</i></separator></separator></parameters>
 <atominfo><atoms>2</atoms><types>2</types><array name="atoms"><set>
  <rc><c>O </c><c>1</c></rc><rc><c>H </c><c>2</c></rc></set></array></atominfo>
 <structure name="initialpos"><crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
  <varray name="positions"><v>0.5 0.5 0.5</v><v>0.5 0.5 0.75</v></varray></structure>
 <calculation>
  <scstep><energy><i name="e_fr_energy">{ENERGY}</i><i name="e_wo_entrp">{ENERGY}</i>
   <i name="e_0_energy">{ENERGY + 0.1}</i></energy></scstep>
  <structure><crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
   <varray name="positions"><v>0.5 0.5 0.5</v><v>0.5 0.5 0.75</v></varray></structure>
  <varray name="forces"><v>{FORCE} 0 0</v><v>{-FORCE} 0 0</v></varray>
  <varray name="stress"><v>16.0217663 0 0</v><v>0 16.0217663 0</v><v>0 0 32.0435326</v></varray>
  <energy><i name="e_fr_energy">{ENERGY}</i><i name="e_wo_entrp">{ENERGY}</i>
   <i name="e_0_energy">{ENERGY + 0.1}</i></energy>
  <dos><i name="efermi">-1.0</i></dos>
 </calculation>
</modeling>
""")


def aims(mode):
    print("          FHI-aims version      : 240507\n")
    if mode == "crashed":
        print("  * Error: the species H is not known to me.")
        sys.exit(1)
    print("""  Reading geometry description geometry.in.
  | Number of atoms                   :        2
  | Number of species                 :        2
  | Number of spin channels           :        2
  The structure contains        2 atoms,  and a total of          9.000 electrons.
  | Number of Kohn-Sham states (occupied + empty):       10
  | No unit cell requested.
  | Atomic structure:
  |       Atom                x [A]            y [A]            z [A]
  |    1: Species O             0.00000000        0.00000000        0.00000000
  |    2: Species H             0.00000000        0.00000000        1.00000000

          Begin self-consistency loop: Initialization.
          Begin self-consistency iteration #    1
""")
    if mode != "converged":
        print("  Self-consistency cycle not converged.")
        print("  * SELF-CONSISTENCY CYCLE DID NOT CONVERGE IN YOUR SELECTED MODE.")
        print("          Have a nice day.")
        return
    print(f"""  Self-consistency cycle converged.
  | N = N_up - N_down (sum over all k points):   1.00000
  | Total energy uncorrected      :         {ENERGY + 0.1:.15f} eV
  | Total energy corrected        :         {ENERGY:.15f} eV
  | Electronic free energy        :         {ENERGY:.15f} eV
  | Number of self-consistency cycles          :           14

  Total atomic forces (unitary forces cleaned) [eV/Ang]:
  |    1         {FORCE:.15E}          0.000000000000000E+00          0.000000000000000E+00
  |    2        {-FORCE:.15E}          0.000000000000000E+00          0.000000000000000E+00

          Have a nice day.""")


def orca(mode):
    print("                                         Program Version 5.0.4 -  RELEASE  -\n")
    print("Number of atoms                             ...      2")
    if mode == "crashed":
        print("ORCA finished by error termination in GTOInt")
        print("[file orca_tools/qcmsg.cpp, line 465]:\n  .... aborting the run")
        sys.exit(64)
    print("""---------------------------------
CARTESIAN COORDINATES (ANGSTROEM)
---------------------------------
  O      0.000000    0.000000    0.000000
  H      0.000000    0.000000    1.000000
""")
    if mode == "converged":
        print("               *****************************************************")
        print("               *           SCF CONVERGED AFTER  12 CYCLES          *")
        note = ""
    else:
        print("               *           SCF NOT CONVERGED AFTER 125 CYCLES          *")
        note = "  (Wavefunction not fully converged!)"
    gradient = [-FORCE, 0, 0, FORCE, 0, 0]
    Path("orca.engrad").write_text(
        "# The current gradient in Eh/bohr\n#\n" + "\n".join(map(str, gradient)) + "\n# The at\n"
    )
    print(f"""FINAL SINGLE POINT ENERGY{note}      {ENERGY:.12f}

------------------
CARTESIAN GRADIENT
------------------

   1   O   :    {-FORCE:.9f}    0.000000000    0.000000000
   2   H   :     {FORCE:.9f}    0.000000000    0.000000000

                             ****ORCA TERMINATED NORMALLY****""")


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
