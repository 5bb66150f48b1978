// Line icons, drawn for this page on a 20 × 20 grid.
import type { ReactNode } from "react";

const draw = (children: ReactNode) =>
  function Icon() {
    return (
      <svg
        className="icon"
        viewBox="0 0 20 20"
        width="18"
        height="18"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.6"
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden="true"
      >
        {children}
      </svg>
    );
  };

export const Plus = draw(<path d="M10 4v12M4 10h12" />);
export const Search = draw(
  <>
    <circle cx="9" cy="9" r="5" />
    <path d="m13 13 4 4" />
  </>,
);
export const Sidebar = draw(
  <>
    <rect x="3" y="4" width="14" height="12" rx="2.5" />
    <path d="M8 4v12" />
  </>,
);
export const Folder = draw(
  <path d="M3 6.500A1.500 1.500 0 0 1 4.500 5H8l1.700 2h5.800A1.500 1.500 0 0 1 17 8.500v6a1.500 1.500 0 0 1-1.500 1.500h-11A1.500 1.500 0 0 1 3 14.500z" />,
);
export const Pin = draw(<path d="M7.500 3.500h5l-.7 5 2.200 2.500H6l2.200-2.500zM10 11v5.500" />);
export const Dots = draw(<path d="M5 10h.01M10 10h.01M15 10h.01" strokeWidth="2.600" />);
export const Send = draw(<path d="M10 16V4.500M5 9l5-5 5 5" strokeWidth="2" />);
export const Stop = draw(<rect x="6" y="6" width="8" height="8" rx="1.500" fill="currentColor" stroke="none" />);
export const Clip = draw(
  <path d="m15.500 9.500-5.600 5.600a3.500 3.500 0 0 1-5-5l6-6a2.300 2.300 0 0 1 3.300 3.300l-5.800 5.800a1.100 1.100 0 0 1-1.600-1.600l5.200-5.200" />,
);
export const Close = draw(<path d="m5.500 5.500 9 9M14.500 5.500l-9 9" />);
export const Down = draw(<path d="m5.500 8 4.500 4.500L14.500 8" />);
export const Right = draw(<path d="M8 5.500 12.500 10 8 14.500" />);
export const Left = draw(<path d="M12 5.500 7.500 10l4.500 4.500" />);
export const ArrowDown = draw(<path d="M10 4v11.500M5 11l5 5 5-5" />);
export const Copy = draw(
  <>
    <rect x="7" y="7" width="9.500" height="9.500" rx="2" />
    <path d="M13 4.500A1.500 1.500 0 0 0 11.500 3.500H5.500a2 2 0 0 0-2 2v6A1.500 1.500 0 0 0 4.500 13" />
  </>,
);
export const Check = draw(<path d="m4.500 10.500 3.700 3.700 7.300-8" strokeWidth="2" />);
export const Cross = draw(<path d="m6 6 8 8M14 6l-8 8" strokeWidth="2" />);
export const Edit = draw(<path d="M12.500 4.500 15.500 7.500 7.500 15.500 4 16l.500-3.500z" />);
export const Again = draw(<path d="M15.500 8A6 6 0 1 0 16 11.500M16 4v4h-4" />);
export const Forward = draw(<path d="M4 5v10l6-5zM11 5v10l6-5z" />);
export const Trash = draw(<path d="M4 6h12M8 6V4h4v2M6 6l.7 10h6.600L14 6" />);
export const Think = draw(
  <>
    <path d="M10 3.500a5 5 0 0 1 3 9V14H7v-1.500a5 5 0 0 1 3-9z" />
    <path d="M8 16.500h4" />
  </>,
);
export const Eye = draw(
  <>
    <path d="M2.500 10S5.500 5 10 5s7.500 5 7.500 5-3 5-7.500 5-7.500-5-7.500-5z" />
    <circle cx="10" cy="10" r="2.200" />
  </>,
);
export const Settings = draw(<path d="M4 6h7M15 6h1M4 14h1M9 14h7M11 4v4M9 12v4" transform="translate(0 0)" />);
export const Chip = draw(
  <>
    <rect x="6" y="6" width="8" height="8" rx="1.500" />
    <path d="M8 6V3.500M12 6V3.500M8 16.500V14M12 16.500V14M6 8H3.500M6 12H3.500M16.500 8H14M16.500 12H14" />
  </>,
);
export const Chart = draw(<path d="M4 16V9M10 16V4M16 16v-5" strokeWidth="2.200" />);
export const Steps = draw(<path d="M3.500 16h4v-4h4V8h4V4" />);
export const User = draw(
  <>
    <circle cx="10" cy="7" r="3" />
    <path d="M4.500 16.500c.8-3 3-4 5.500-4s4.700 1 5.500 4" />
  </>,
);
export const Archive = draw(<path d="M3.500 5h13v3h-13zM5 8v8h10V8M8.500 11h3" />);
export const File = draw(<path d="M6 3.500h5.500L15 7v9.500H6zM11.500 3.500V7H15" />);
export const Sliders = draw(<path d="M4 7h5M13 7h3M4 13h3M11 13h5M11 5v4M9 11v4" />);
export const Export = draw(<path d="M10 12V3.500M6.500 6.500 10 3.500l3.500 3M4.500 11v5.500h11V11" />);

/** The mark: two lines of water over a crest. */
export function Mark({ size = 26 }: { size?: number }) {
  return (
    <svg className="mark" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      <rect width="32" height="32" rx="9" fill="var(--accent)" />
      <g fill="none" stroke="var(--on-accent)" strokeLinecap="round" strokeWidth="2.600">
        <path d="M6 11c3.300-3 6.700-3 10 0s6.700 3 10 0" />
        <path d="M6 17.500c3.300-3 6.700-3 10 0s6.700 3 10 0" opacity="0.750" />
        <path d="M6 24h20" opacity="0.900" />
      </g>
    </svg>
  );
}
