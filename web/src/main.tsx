// Starts the page.
import { createRoot } from "react-dom/client";
import { App } from "./App.tsx";
import "./styles/index.css";

createRoot(document.getElementById("root")!).render(<App />);
