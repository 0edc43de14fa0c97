using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>A change of a player. What is not set is not sent, and stays as it is.</summary>
    public sealed class PlayerUpdate
    {
        /// <summary>The name, 3 to 32 characters, unique whatever the case.</summary>
        public Optional<string> Username { get; set; }

        /// <summary>The name to show, 1 to 64 characters.</summary>
        public Optional<string> DisplayName { get; set; }

        /// <summary>The region; null clears it.</summary>
        public Optional<string> Region { get; set; }

        /// <summary>The rating, 0 to 100000.</summary>
        public Optional<int> Rating { get; set; }

        /// <summary>The attributes, which replace all that were there.</summary>
        public Optional<Attributes> Attributes { get; set; }

        internal JObject ToJson()
        {
            var json = new JObject();
            json.AddIfSet("username", Username);
            json.AddIfSet("display_name", DisplayName);
            json.AddIfSet("region", Region);
            json.AddIfSet("rating", Rating);
            json.AddIfSet("attributes", Attributes);
            return json;
        }
    }
}
